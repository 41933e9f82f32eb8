-- An account that leaves takes its webhooks and hooks along.
create or replace function webhooks.forget_account(account uuid) returns void
language sql
as $$
    delete from webhooks.webhook w where w.owner_id = account;
    delete from webhooks.hook h where h.owner_id = account;
    delete from webhooks.idempotency_key k where k.owner = account::text
$$;
