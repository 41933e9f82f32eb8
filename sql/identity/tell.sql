-- Mails a notice if the address was proved, since any other may be a stranger's.
create or replace function identity.tell(account uuid, purpose text) returns void
language sql
as $$
    select identity.mail(p.email, p.account_id, tell.purpose, interval '1 day')
    from identity.person p where p.account_id = tell.account and p.verified_at is not null
$$;
