-- An account keeps at most 1,000 entries. Those of one account that come at once wait for each other.
create or replace function {{name}}.limit_entries() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from identity.account a where a.id = new.account_id for no key update;
    if (select count(*) from {{name}}.entry e where e.account_id = new.account_id) >= 1000 then
        raise exception using errcode = 'check_violation', constraint = 'entry_count';
    end if;
    return new;
end
$$;
create or replace trigger limit_entries before insert on {{name}}.entry
for each row execute function {{name}}.limit_entries();
