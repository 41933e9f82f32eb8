-- Ends a delivery that is not sent, and says why.
create or replace function webhooks.end_delivery(delivery uuid, why text) returns void
language sql
as $$
    update webhooks.delivery d set state = 'dead', error = why, ended_at = now()
    where d.id = delivery and d.state = 'waiting'
$$;
