-- Mails a link that proves the address of an account. There is always somebody to write to: if another account has the
-- address, its owner is told that somebody else claims it.
create or replace function identity.mail_proof(account uuid) returns void
language plpgsql
as $$
declare
    claim identity.person;
    owner uuid;
begin
    select p.* into claim from identity.person p where p.account_id = account;
    select p.account_id into owner from identity.person p where p.email = claim.email and p.verified_at is not null;
    if owner is not null then
        perform identity.mail(claim.email, owner, 'registered', interval '1 day');
    elsif claim.password is null then
        -- Proving asks for the password. Without one, choosing one proves the address.
        perform identity.mail(claim.email, null, 'reset', interval '30 minutes');
    else
        perform identity.mail(claim.email, account, 'verify', interval '1 day');
    end if;
end
$$;
