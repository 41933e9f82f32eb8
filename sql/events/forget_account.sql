-- Forgets what was told to an account that leaves, and starts no more work for it. What it said to others, the functions
-- that keep it take out.
create or replace function events.forget_account(account uuid) returns void
language sql
as $$
    delete from events.event e where e.topic = 'account:' || forget_account.account;
    delete from events.subscription s where s.owner = forget_account.account
$$;
