-- The channel of an id or a name that an account may read, or null. Of channels with one name, the public one comes
-- first, then the eldest private one that the account is in.
create or replace function channels.find(viewer uuid, ref text) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    found uuid := platform.uuid_of(ref);
begin
    if found is not null then
        return case when channels.may_read(viewer, found) then found end;
    end if;
    select c.id into found from channels.channel c
    where c.name = ref and not c.private and viewer is not null;
    if found is null then
        select c.id into found from channels.channel c
        join channels.member b on b.channel_id = c.id and b.account_id = viewer
        where c.name = ref and c.private order by c.id limit 1;
    end if;
    return found;
end
$$;
grant execute on function channels.find(uuid, text) to gather_channels;
