-- Whether an account has blocked another one, which then can't write to it. Blocks belong to the schema `social`.
create or replace function channels.blocks(blocker uuid, blocked uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    blocks boolean;
begin
    if to_regprocedure('social.blocks(uuid,uuid)') is null then
        return false;
    end if;
    execute 'select social.blocks($1, $2)' into blocks using blocker, blocked;
    return coalesce(blocks, false);
end
$$;
