-- Whether an account has blocked another one, and so hears nothing of it. Without the schema that knows, nobody has.
create or replace function inbox.is_blocked(account uuid, by uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if is_blocked.by is null or to_regprocedure('social.blocks(uuid,uuid)') is null then
        return false;
    end if;
    return social.blocks(is_blocked.account, is_blocked.by);
end
$$;
