-- Forgets an account's reviews of skills. Its skills, ratings and calls stay, since they count for
-- others.
create or replace function skills.forget_account(account uuid) returns void
language sql
as $$
    update skills.rating r set text = '' where r.account_id = account and r.text <> '';
    delete from skills.idempotency_key k where k.owner = account::text;
$$;
