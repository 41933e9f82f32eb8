-- The 200 best results of a query for a reader, from all sources that find one of the `kinds` (null: any).
--
-- A finder that fails harms none of the others, nor does one that is slow: the statement's time-out ends it, what the
-- others have found is answered, and `missing` names the kinds that are not among it. After the time-out nothing else
-- ends a statement, so no other finder is begun then; the late one comes last from then on.
create or replace function search.find(
    reader uuid, query text, kinds text[], after_rank double precision, after_at timestamptz, after_kind text,
    after_id text, most bigint
) returns table (known boolean, items jsonb, missing text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    best constant integer := 200;
    source record;
    hits search.hit[] := '{}';
    more search.hit[];
    in_time boolean := true;
begin
    known := not exists (
        select from unnest(kinds) k (kind) where k.kind not in (select s.kind from search.source s));
    missing := '{}';
    for source in
        select s.finder, array_agg(s.kind order by s.kind) as kinds from search.source s
        where kinds is null or s.kind = any (kinds)
        group by s.finder order by max(s.late_at) nulls first, s.finder
    loop
        begin
            if in_time then
                execute format(
                    'select array_agg(row(h.kind, h.id, left(h.title, 200), left(h.snippet, 500), left(h.url, 500),
                         round(h.rank::numeric, 4), h.created_at)::search.hit)
                     from (select * from %s($1, $2, $3, $4) f where f.kind = any ($3) limit $4) h', source.finder)
                into more using reader, query, source.kinds, best;
                hits := hits || more;
                continue;
            end if;
        exception
            when query_canceled then
                in_time := false;
                perform search.note_late(source.finder, 'it took too long');
            when others then
                perform search.note_late(source.finder, sqlerrm);
        end;
        missing := missing || source.kinds;
    end loop;
    select coalesce(jsonb_agg(jsonb_build_object('type', p.kind, 'id', p.id, 'title', p.title, 'snippet', p.snippet,
        'url', p.url, 'rank', p.rank, 'created_at', p.created_at)
        order by p.rank desc, p.created_at desc, p.kind desc, p.id desc), '[]')
    into items
    from (
        select b.* from (
            select h.* from unnest(hits) h order by h.rank desc, h.created_at desc, h.kind desc, h.id desc limit best
        ) b
        where after_rank is null
        or (b.rank, b.created_at, b.kind, b.id) < (after_rank, after_at, after_kind, after_id)
        order by b.rank desc, b.created_at desc, b.kind desc, b.id desc limit most
    ) p;
    return next;
end
$$;
grant execute on function search.find to gather_search;
