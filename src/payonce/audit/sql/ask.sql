-- What is asked of all that was read. Each answer is short, whatever was read.

-- name: storms
-- Tasks that failed again and again, by what knows of the most deliveries.
SELECT task, max(deliveries), max(failed), max(done), max(number), min(first), max(last),
       coalesce(max(queue) FILTER (queue != 'queue'), max(queue)), arg_max(url, length(url)),
       max(tenant), list_sort(list_distinct(flatten(list(sources)))),
       list_sort(list_distinct(flatten(list(revisions) FILTER (revisions IS NOT NULL)))),
       count(*) OVER ()
FROM outcomes GROUP BY task HAVING max(vain) >= $least ORDER BY max(vain) DESC, task LIMIT $most;

-- name: calls_of
-- The calls of a task, by what tells of them; wasted are those of all deliveries but the one that
-- was of use. Sums of several currencies are none.
SELECT list(DISTINCT p.source), p.told_by, min(p.how), coalesce(min(p.currency), 'USD'),
       count(*) FILTER (p.paid), count(*) FILTER (p.paid AND NOT d.useful),
       CASE WHEN count(DISTINCT p.currency) < 2 THEN sum(p.nanos) FILTER (p.paid) END::BIGINT,
       CASE WHEN count(DISTINCT p.currency) < 2
            THEN sum(p.nanos) FILTER (p.paid AND NOT d.useful) END::BIGINT,
       count(*) FILTER (p.paid AND p.nanos IS NULL),
       count(*) FILTER (p.paid AND p.nanos IS NULL AND NOT d.useful),
       count(DISTINCT p.delivery) FILTER (p.paid), coalesce(sum(p.resends), 0)::BIGINT,
       min(p.tenant), sum(p.tokens_in) FILTER (p.paid)::BIGINT,
       sum(p.tokens_out) FILTER (p.paid)::BIGINT
FROM placed AS p JOIN (SELECT id, useful FROM counted WHERE task = $task) AS d
  ON d.id = p.delivery
GROUP BY p.told_by;

-- name: unpriced_of
-- The calls of a task that have tokens and no cost, as told by one, those alike together.
SELECT p.provider, p.model, p.tokens_in, p.tokens_out, d.useful, count(*), min(p.began)
FROM placed AS p JOIN (SELECT id, useful FROM counted WHERE task = $task) AS d
  ON d.id = p.delivery
WHERE p.paid AND p.nanos IS NULL AND p.told_by = $told_by AND p.model IS NOT NULL
  AND p.tokens_in IS NOT NULL AND p.tokens_out IS NOT NULL AND p.began IS NOT NULL
GROUP BY ALL ORDER BY ALL LIMIT 2000;

-- name: sums_during
-- What the providers count for the days or hours in which a task was delivered.
SELECT provider, model, sum(requests)::BIGINT, sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT,
       sum(cached)::BIGINT, sum(written)::BIGINT, sum(nanos)::BIGINT, currency, min(starts), max(ends)
FROM buckets WHERE starts <= $last AND ends > $first AND what IS NOT NULL
GROUP BY provider, model, currency ORDER BY ALL;

-- name: providers_of
-- The calls of a task by provider, as told by one, and those of them that were wasted.
SELECT p.provider, count(*), count(*) FILTER (NOT d.useful)
FROM placed AS p JOIN (SELECT id, useful FROM counted WHERE task = $task) AS d
  ON d.id = p.delivery
WHERE p.paid AND p.nanos IS NULL AND p.told_by = $told_by GROUP BY p.provider ORDER BY ALL;

-- name: calls_during
-- All calls to a provider that are told of for a time, by the kind of file that has the most.
SELECT max(n) FROM (SELECT count(*) AS n FROM placed
                    WHERE paid AND provider = $provider AND began >= $first AND began < $last
                    GROUP BY told_by);

-- name: times_of
-- When the deliveries of a task began and ended, as told of over the longest time.
SELECT began, ended FROM counted
WHERE task = $task
  AND told_by = (SELECT arg_max(told_by, last - first) FROM outcomes WHERE task = $task)
ORDER BY began LIMIT 2000;

-- name: errors_of
-- What went wrong in the deliveries of a task, the most frequent first.
SELECT text, count(*) FROM (
  SELECT e.text FROM errors AS e WHERE e.task = $task
  UNION ALL
  SELECT e.text FROM errors AS e JOIN (SELECT DISTINCT trace FROM deliveries
                                       WHERE task = $task AND trace IS NOT NULL) AS d
    ON d.trace = e.trace WHERE e.task IS NULL)
WHERE text IS NOT NULL GROUP BY text ORDER BY count(*) DESC, length(text), text LIMIT 20;

-- name: times_of_urls
-- Deliveries that no source names the task of, by address; and how many failures of named tasks
-- there were at that address.
WITH addresses AS (
  SELECT url, list(DISTINCT source), queue, count(*), count(*) FILTER (failed) AS failed,
         count(*) FILTER (NOT failed), min(began), max(coalesce(ended, began)),
         list(began ORDER BY began)[:2000], list(ended ORDER BY began)[:2000], mode(status),
         list(DISTINCT revision) FILTER (revision IS NOT NULL)
  FROM deliveries
  WHERE task IS NULL AND queue IS NOT NULL AND url IS NOT NULL AND began IS NOT NULL
  GROUP BY url, queue HAVING count(*) FILTER (failed) >= $least
  ORDER BY failed DESC, url LIMIT $most),
explained AS (SELECT url, count(*) AS n FROM working WHERE failed AND url IS NOT NULL GROUP BY url)
SELECT a.*, (SELECT coalesce(sum(e.n), 0)::BIGINT FROM explained AS e
             WHERE ends_with(a.url, e.url) OR ends_with(e.url, a.url))
FROM addresses AS a ORDER BY failed DESC, url;

-- name: repeated
-- Prompts that were paid for again and again.
SELECT task, told_by, min(source), tenant, print, count(*), min(began), max(began),
       list(began ORDER BY began)[:2000], any_value(model), sum(nanos)::BIGINT,
       coalesce(currency, 'USD'), count(*) FILTER (nanos IS NULL), arg_min(nanos, began)
FROM placed WHERE paid AND print IS NOT NULL AND began IS NOT NULL
GROUP BY task, told_by, tenant, print, model, currency HAVING count(*) >= $least
ORDER BY count(*) DESC, min(began), print LIMIT $most;

-- name: buckets
-- Sums over time by the providers themselves: by day, or by hour where no period is longer.
SELECT b.source, provider, date_trunc(CASE WHEN longest > 7200000000 THEN 'day' ELSE 'hour' END,
                                      make_timestamp(starts))::VARCHAR AS period,
       sum(requests)::BIGINT, sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT,
       sum(nanos)::BIGINT, b.currency
FROM buckets AS b JOIN (SELECT source, max(ends - starts) AS longest FROM buckets GROUP BY source) AS l
  ON l.source = b.source
WHERE starts IS NOT NULL GROUP BY ALL ORDER BY ALL;

-- name: periods
-- The same from single calls: by day, or by hour where there are few days.
SELECT source, '' AS provider,
       date_trunc(CASE WHEN spanned > 432000000000 THEN 'day' ELSE 'hour' END,
                  make_timestamp(began))::VARCHAR AS period,
       count(*), sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT, sum(nanos)::BIGINT, currency
FROM placed, (SELECT max(began) - min(began) AS spanned FROM placed
              WHERE paid AND began > 978307200000000)
WHERE paid AND began > 978307200000000 GROUP BY ALL ORDER BY ALL;

-- name: resends
-- Sends that an SDK repeated by itself, by source.
SELECT source, count(*) FILTER (resends > 0), sum(resends)::BIGINT, count(*) FILTER (paid)
FROM placed GROUP BY source HAVING sum(resends) > 0 ORDER BY source;

-- name: totals
-- All that was read, by source.
SELECT source, 'calls', count(*) FILTER (paid), sum(nanos) FILTER (paid)::BIGINT, currency,
       count(*) FILTER (paid AND nanos IS NULL), count(*) FILTER (delivery IS NULL)
FROM placed GROUP BY source, currency
UNION ALL
SELECT source, 'deliveries', count(*), NULL, NULL, 0, 0 FROM deliveries GROUP BY source
UNION ALL
SELECT source, 'buckets', sum(requests)::BIGINT, sum(nanos)::BIGINT, currency, 0, 0
FROM buckets GROUP BY source, currency;
