-- The messages that an account finds by their meaning, of `readable_message`: those of the channels that it is in are
-- compared first, then those of other public channels, where somebody wrote last.
create or replace function channels.meant(
    reader uuid, query text, model text, meaning text, also text[], most integer
) returns table (
    kind text, id text, title text, snippet text, url text, created_at timestamptz, rank real, semantic double precision)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
-- The plan depends on the channels.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    patterns text[] := search.patterns(query);
    own uuid[] := array(select b.channel_id from channels.member b where b.account_id = reader);
    places uuid[];
begin
    if reader is null then
        return;
    end if;
    places := own || array(
        select c.id from channels.channel c where not c.private and c.id <> all (own)
        order by c.last_message_at desc nulls last);
    return query
        with found as materialized (
            select n.id, n.semantic, n.id::text = any (also) as named
            from search.near('message', model, meaning::vector.halfvec, places) n
        )
        select 'message', m.id::text, coalesce('#' || c.name, 'Direct message'), search.excerpt(m.plain, query),
            '/channels/' || c.id || '?around=' || m.id, m.created_at,
            case when m.words like all (patterns) then search.rank('', m.words, query) end, f.semantic
        from (select * from found order by named desc, semantic desc, id desc) f
        cross join lateral (
            select r.id, r.channel_id, r.plain, w.words, r.created_at
            from channels.message w join channels.readable_message(reader) r on r.id = w.id
            where w.id = f.id and r.state = 'shown' offset 0) m
        join channels.channel c on c.id = m.channel_id
        order by f.named desc, f.semantic desc, f.id desc limit most + cardinality(also);
end
$$;
