-- All data of an account: that of identity and, under its name, that of each other registered schema.
create or replace function identity.export(account uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    exported jsonb := identity.export_account(account);
    leaver text;
    part jsonb;
begin
    for leaver in select l.schema from platform.leaver l where l.schema <> 'identity' order by l.schema loop
        execute format('select %I.export_account($1)', leaver) into part using account;
        exported := exported || jsonb_build_object(leaver, part);
    end loop;
    return exported;
end
$$;
grant execute on function identity.export to gather_accounts;
