-- What an account published stays, and so do its ratings and calls, which count for others; what it wrote about skills
-- goes.
create or replace function skills.forget_account(account uuid) returns void
language sql
as $$
    update skills.rating r set text = '' where r.account_id = account and r.text <> '';
    delete from skills.idempotency_key k where k.owner = account::text;
$$;
