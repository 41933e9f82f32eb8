-- Whether an account may read a channel: everybody who is signed in reads public ones, members the others.
create or replace function channels.may_read(viewer uuid, channel uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select viewer is not null and exists (
        select from channels.channel c
        where c.id = may_read.channel and (not c.private or exists (
            select from channels.member b where b.channel_id = c.id and b.account_id = viewer)))
$$;
