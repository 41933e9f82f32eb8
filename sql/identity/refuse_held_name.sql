-- Refuses names that are held as if another account had them.
create or replace function identity.refuse_held_name() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from identity.held_name h where h.name = new.name and h.until > now()) then
        raise unique_violation using message = 'the name is held', constraint = 'account_name_key';
    end if;
    return new;
end
$$;
create or replace trigger account_name_held before insert or update of name on identity.account
for each row execute function identity.refuse_held_name();
