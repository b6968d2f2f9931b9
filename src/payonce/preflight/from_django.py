"""Edge: what Django's models expect."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from payonce.preflight import statements
from payonce.preflight.compare import Defect
from payonce.preflight.database import Connection
from payonce.preflight.expected import Access, Rehearsal, Statement, WantedColumn, WantedTable
from payonce.preflight.found import Named


def knows(given: object) -> bool:
    """Whether this is a model, or the configuration of an app."""
    return bool(_models(given))


def knows_row(given: object) -> bool:
    """Whether this is an instance of a model."""
    return "django" in sys.modules and bool(_models(type(given)))


def _models(given: object) -> list[Any]:
    if "django" not in sys.modules:
        return []
    from django.apps import AppConfig
    from django.db.models import Model

    if isinstance(given, type) and issubclass(given, Model):
        return [given]
    if isinstance(given, AppConfig):
        return list(given.get_models(include_auto_created=True))
    return []


def tables(given: Any, access: Access, wrapper: Any) -> Iterator[WantedTable]:
    """The tables of a model, its parents among them, or of all models of an app."""
    models = _models(given)
    if not isinstance(given, type) and access is Access.WRITE:
        access = Access.SOME
    for model in models:
        for each in (model, *model._meta.get_parent_list()):
            if each._meta.managed or each is model:
                yield _table(each, access, wrapper)


def _table(model: Any, access: Access, wrapper: Any) -> WantedTable:
    columns = tuple(_column(field, wrapper) for field in model._meta.local_concrete_fields)
    return WantedTable(_named(model), columns, access, access is not Access.READ)


def _named(model: Any) -> Named:
    """The table's name; some write a schema into it: `"school"."course"`."""
    schema, _, name = model._meta.db_table.rpartition('"."')
    return Named(schema.strip('"') or None, name.strip('"'))


def _column(field: Any, wrapper: Any) -> WantedColumn:
    generated = bool(getattr(field, "generated", False))
    counted = field.get_internal_type() in ("AutoField", "BigAutoField", "SmallAutoField")
    return WantedColumn(field.column, field.db_type(wrapper), None, not (generated or counted))


def words(given: Iterable[Any]) -> Callable[[Defect], set[str]]:
    """How migrations speak of a defect: by the names of models and fields."""
    known = {str(_named(model)): model for each in given for model in _models(each)}

    def of(defect: Defect) -> set[str]:
        model = known.get(defect.table or "")
        if model is None:
            return set()
        if defect.column is None:
            return {model.__name__}
        fields = model._meta.local_concrete_fields
        named = next((f.name for f in fields if f.column == defect.column), defect.column)
        return {model._meta.model_name, named}

    return of


def rehearsal(given: Any, wrapper: Any) -> Rehearsal:
    """A new instance of a model, as the INSERT to rehearse; its parents' rows aren't made."""
    from django.db.models.sql import InsertQuery

    model = type(given)
    fields = [field for field in model._meta.local_concrete_fields if _is_given(field, given)]
    query = InsertQuery(model)
    query.insert_values(fields, [given])
    made = query.get_compiler(connection=wrapper).as_sql()

    def perform(connection: Connection) -> None:
        for sql, values in made:
            text = sql.replace("%s", "?") if connection.marker == "?" else sql
            connection.run(text, *values)

    return Rehearsal(f"INSERT of a {model.__name__}", (_named(model),), perform)


def _is_given(field: Any, row: Any) -> bool:
    if getattr(field, "generated", False):
        return False
    return not (field.primary_key and getattr(row, field.attname) is None)


def statement(given: Any, connection: Connection) -> Statement:
    """A query set's SELECT."""
    sql, _ = given.query.sql_with_params()
    return statements.statement(sql, connection.dialect)
