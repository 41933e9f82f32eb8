-- The account with an id or name. No name has the form of an id, so a text is never both.
create or replace function identity.account_called(ref text) returns uuid
language sql stable
as $$
    select a.id from identity.account a
    where (a.name = account_called.ref or a.id = platform.uuid_of(account_called.ref)) and a.status <> 'deleted'
$$;
