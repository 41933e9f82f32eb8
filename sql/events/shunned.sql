-- The accounts that an account has blocked or muted: it is told nothing of theirs. Blocks belong to the schema `social`.
create or replace function events.shunned(viewer uuid) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    shunned uuid[];
begin
    if to_regprocedure('social.shunned(uuid)') is not null then
        execute 'select social.shunned($1)' into shunned using viewer;
    end if;
    return coalesce(shunned, '{}');
end
$$;
grant execute on function events.shunned(uuid) to gather_realtime;
