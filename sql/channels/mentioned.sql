-- The accounts that a text by `author` mentions in a channel: at most 50, and only those that may read the channel.
create or replace function channels.mentioned(names text[], author uuid, channel uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select n from social.named(names, author) n where channels.may_read(n, channel) order by n limit 50)
$$;
