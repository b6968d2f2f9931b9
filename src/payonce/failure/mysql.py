"""Decision, inside `failure`: the numbers of MySQL and MariaDB.

Source: the MySQL 8 error reference (server 1xxx and 3xxx, client 2xxx) and MariaDB's list of
error codes. The number decides, not the SQLSTATE: MySQL files wrong SQL, missing rights and
too many connections alike under 42000.
"""

from __future__ import annotations

from payonce.chain import Link
from payonce.failure.finding import (
    CODE,
    CONFIG,
    CREDENTIALS,
    INPUT,
    NOTHING,
    SCHEMA,
    Finding,
    Rank,
    look_up,
    numbers,
)
from payonce.model import Kind

NUMBERS = numbers(
    # unknown column, table, function, key, view, partition; table or column that exists already
    (Kind.DETERMINISTIC, SCHEMA + CODE, "1054 1146 1051 1109 1305 1072 1091 1176 1356 1526"),
    (Kind.DETERMINISTIC, SCHEMA + CODE, "1050 1060 1061 1136 1304 1347 1360 1364 1449 3819"),
    # SQL that is wrong as it stands
    (Kind.DETERMINISTIC, CODE, "1052 1055 1056 1063 1064 1065 1066 1093 1110 1111 1115 1139"),
    (Kind.DETERMINISTIC, CODE, "1140 1166 1193 1210 1222 1231 1232 1235 1238 1241 1247 1248"),
    (Kind.DETERMINISTIC, CODE, "1250 1267 1270 1271 1273 1318 1327 1582 1583 1584 2014 2034"),
    (Kind.DETERMINISTIC, CODE, "1071 1101 1118 1295 1336 1422 3065 3568"),
    # rights
    (Kind.DETERMINISTIC, CREDENTIALS, "1044 1045 1130 1131 1132 1133 1142 1143 1227 1370 1698"),
    (Kind.DETERMINISTIC, CREDENTIALS, "1820 1862 2049 2059 2061 3118 3955 4151"),
    # which server, which database
    (Kind.DETERMINISTIC, CONFIG, "1046 1049 1102 1251 2026 2054"),
    # values that don't fit
    (Kind.DETERMINISTIC, CODE + INPUT + SCHEMA, "1048 4025"),
    (Kind.DETERMINISTIC, SCHEMA + INPUT, "1264 1265 1292 1366 1406 1411 1416 1690 1242 1172"),
    (Kind.DETERMINISTIC, INPUT + CODE, "1153 1300 1365 1367 1426 1427 2020 2032 3140 3141 3143"),
    # time mends these: locks, restarts, failovers (read-only), full disks, slow statements
    (Kind.TRANSIENT, NOTHING, "1020 1040 1053 1079 1080 1152 1158 1159 1160 1161 1180 1184 1203"),
    (Kind.TRANSIENT, NOTHING, "1205 1206 1213 1226 1412 1615 1637 1927 2006 2013 2055 3101 3572"),
    (Kind.TRANSIENT, NOTHING, "1290 1317 1836 1969 2002 2003 2005 3024 1021 1041 1114"),
    # may be an own earlier write, another job's row, a person
    (Kind.UNKNOWN, NOTHING, "1022 1062 1169 1216 1217 1451 1452 1557 1586 1644 1761 1762 1792"),
    (Kind.UNKNOWN, NOTHING, "3170"),
)


def judge(link: Link) -> Finding | None:
    """What MySQL's number says."""
    number = link.mysql_number
    return look_up(NUMBERS, number, Rank.NUMBER, f"MySQL {number}")
