-- Forgets deliveries that ended a month ago, and the ids of what came in before, and adds up the counts of attempts.
-- Workers call it.
create or replace function webhooks.sweep(most integer) returns void
language sql
as $$
    delete from webhooks.delivery d where d.id in (
        select o.id from webhooks.delivery o
        where o.created_at < now() - interval '31 days' and o.state <> 'waiting' order by o.created_at limit most);
    delete from webhooks.received r where (r.hook_id, r.delivery) in (
        select o.hook_id, o.delivery from webhooks.received o
        where o.at < now() - interval '31 days' order by o.at limit most);
    with taken as (
        delete from webhooks.attempt_count returning result, count
    )
    insert into webhooks.attempt_count (result, count) select result, sum(count) from taken group by result
$$;
