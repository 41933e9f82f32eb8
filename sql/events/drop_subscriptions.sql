-- Ends subscriptions, whoever has made them, for the functions of other schemas that know them.
create or replace function events.drop_subscriptions(subscriptions uuid[]) returns void
language sql
as $$
    delete from events.subscription s where s.id = any (drop_subscriptions.subscriptions)
$$;
