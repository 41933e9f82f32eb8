-- Forgets deliveries that ended a month ago, and the ids of what came in before. Workers call it.
create or replace function webhooks.sweep(most integer) returns void
language sql
as $$
    delete from webhooks.delivery d where d.id in (
        select o.id from webhooks.delivery o
        where o.created_at < now() - interval '31 days' and o.state <> 'waiting' order by o.created_at limit most);
    delete from webhooks.received r where (r.hook_id, r.delivery) in (
        select o.hook_id, o.delivery from webhooks.received o
        where o.at < now() - interval '31 days' order by o.at limit most)
$$;
