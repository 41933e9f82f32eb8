-- An address that nobody has proved may be a stranger's: it gets twenty mails a day, whatever is asked for by whomever.
create or replace function identity.bound_mail() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    person identity.person := (select p from identity.person p where p.account_id = new.account_id);
    hash bytea := sha256(convert_to(person.email, 'UTF8'));
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mailed ' || person.email, 1));
    delete from identity.mailed m where m.at < now() - interval '1 day';
    if (select count(*) from identity.mailed m where m.recipient = hash) >= 20
        and not exists (select from identity.person p where p.email = person.email and p.verified_at is not null) then
        return null;
    end if;
    insert into identity.mailed (recipient) values (hash);
    return new;
end
$$;
create or replace trigger link_mailed before insert on identity.link
for each row when (new.account_id is not null) execute function identity.bound_mail();
