-- Registers a person, and mails the address: a link that proves it or, if an account has proved it already, a notice to
-- that account. The caller can't tell which.
create or replace function identity.register_person(email text, name text, password bytea, version smallint, client jsonb)
returns identity.account
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.account;
begin
    insert into identity.account as a (kind, name) values ('user', register_person.name) returning a.* into made;
    insert into identity.person (account_id, email, password, password_version, password_changed_at)
    values (made.id, register_person.email, register_person.password, register_person.version, now());
    perform identity.mail_proof(made.id);
    perform audit.record(made.id, 'account.registered', made.id::text, true, client ->> 'address', client ->> 'request_id');
    return made;
end
$$;
grant execute on function identity.register_person to gather_people;
