-- The accounts that an account has blocked or muted: it sees nothing of theirs. Blocks belong to the schema `social`.
create or replace function channels.shunned(viewer uuid) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    shunned uuid[];
begin
    if to_regclass('social.block') is not null then
        execute 'select array_agg(b.blocked) from social.block b where b.blocker = $1' into shunned using viewer;
    end if;
    return coalesce(shunned, '{}');
end
$$;
grant execute on function channels.shunned(uuid) to gather_channels;
