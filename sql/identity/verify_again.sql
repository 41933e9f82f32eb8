-- Mails the link that proves the address once more. False if the account is not a person's.
create or replace function identity.verify_again(account uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    claim identity.person;
begin
    select p.* into claim from identity.person p where p.account_id = account;
    if not found then
        return false;
    end if;
    if claim.verified_at is not null then
        perform identity.refuse('email_verified');
    end if;
    perform identity.mail_proof(account);
    return true;
end
$$;
grant execute on function identity.verify_again to gather_people;
