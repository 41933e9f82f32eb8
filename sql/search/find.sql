-- The 200 best results of a query for a reader, from all sources that find one of the `kinds` (null: any).
--   mode     `text`: by words; `semantic`: by meaning; `hybrid`: by both; `text-alone`: by words, since the meaning that was
--            asked for is not known
--   meaning  the query's vector of the model
--   scopes   what the reader's token allows
--
-- A finder that fails harms none of the others, nor does one that is slow: the statement's time-out ends it, what the
-- others have found is answered, and `missing` names the kinds that are not among it. After the time-out nothing else
-- ends a statement, so no other finder is begun then; the late one comes last from then on. Finders by meaning come after
-- those by words.
create or replace function search.find(
    reader uuid, query text, kinds text[], after_rank double precision, after_at timestamptz, after_kind text,
    after_id text, most bigint, mode text default 'text', model text default null, meaning text default null,
    scopes text[] default '{}'
) returns table (known boolean, items jsonb, missing text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    best constant integer := 200;
    step record;
    hits search.hit[] := '{}';
    more search.hit[];
    in_time boolean := true;
begin
    known := not exists (
        select from unnest(kinds) k (kind) where k.kind not in (select s.kind from search.source s));
    missing := '{}';
    perform search.count_search(mode) where after_rank is null;
    for step in
        select f.by_meaning, f.finder, array_agg(s.kind order by s.kind) as kinds from search.source s
        cross join lateral (values (false, s.finder), (true, s.meant)) f (by_meaning, finder)
        where (kinds is null or s.kind = any (kinds)) and (s.scope is null or array[s.scope, 'admin:all'] && scopes)
        and f.finder is not null and case when f.by_meaning then mode in ('hybrid', 'semantic') else mode <> 'semantic' end
        group by f.by_meaning, f.finder order by f.by_meaning, max(s.late_at) nulls first, f.finder
    loop
        begin
            if in_time then
                if step.by_meaning then
                    more := search.by_meaning(step.finder, reader, query, step.kinds, model, meaning, hits, best);
                else
                    more := search.by_words(step.finder, reader, query, step.kinds, best);
                end if;
                hits := hits || more;
                continue;
            end if;
        exception
            when query_canceled then
                in_time := false;
                perform search.note_late(step.finder, 'it took too long');
            when others then
                perform search.note_late(step.finder, sqlerrm);
        end;
        missing := missing || array(select k from unnest(step.kinds) k where k <> all (missing));
    end loop;
    select coalesce(jsonb_agg(jsonb_build_object('type', p.kind, 'id', p.id, 'title', p.title, 'snippet', p.snippet,
        'url', p.url, 'rank', p.score, 'created_at', p.created_at)
        order by p.score desc, p.created_at desc, p.kind desc, p.id desc), '[]')
    into items
    from (
        select b.* from (
            select h.kind, h.id, min(h.title) as title, min(h.snippet) as snippet, min(h.url) as url,
                min(h.created_at) as created_at, search.score(mode, max(h.rank), max(h.semantic)) as score
            from unnest(hits) h group by h.kind, h.id
            order by score desc, created_at desc, kind desc, id desc limit best
        ) b
        where after_rank is null
        or (b.score, b.created_at, b.kind, b.id) < (after_rank, after_at, after_kind, after_id)
        order by b.score desc, b.created_at desc, b.kind desc, b.id desc limit most
    ) p;
    return next;
end
$$;
grant execute on function search.find to gather_search;
