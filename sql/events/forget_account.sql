-- Forgets what was told to an account that leaves. What it said to others, the functions that keep it take out.
create or replace function events.forget_account(account uuid) returns void
language sql
as $$
    delete from events.event e where e.topic = 'account:' || forget_account.account
$$;
