-- An account that leaves takes its secrets along, and what was granted to it.
create or replace function vault.forget_account(account uuid) returns void
language sql
as $$
    delete from vault.secret s where s.account_id = account;
    delete from vault.secret_grant g where g.subject in ('account:' || account, 'claw:' || account);
    delete from vault.idempotency_key k where k.owner = account::text
$$;
