-- The memories that a query finds, the best first. A half that is missing adds nothing to a score and takes nothing from it.
--   words      the words of the query, `[{term, weight}]`; none for a search by meaning alone
--   meaning    the query's vector of the model; null for a search by words alone
--   min_trust  the least trust that a memory has for the reader
-- Candidates are looked at from the best one down, until enough of them hold and fit.
create or replace function memory.search(
    reader uuid, scopes jsonb, words jsonb, model text, meaning text, kind text, min_trust text, as_of timestamptz,
    most integer
) returns table (memory jsonb, score double precision, text double precision, semantic double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with place as materialized (
        select array(select memory.spaces_of(reader, scopes)) as spaces, memory.party(reader) as party
    ), found as materialized (
        select memory_id, number, w.score as text, n.score as semantic,
            coalesce(w.score, 0) + coalesce(n.score, 0) as score
        from (select b.* from place p cross join lateral memory.by_words(p.spaces, words, as_of) b) w
        full join (
            select b.* from place p
            cross join lateral memory.by_meaning(p.spaces, search.model, meaning::vector.halfvec) b) n
        using (memory_id, number)
    )
    select memory.memory_json(reader, x.m, x.v), round(f.score::numeric, 4)::double precision,
        round(f.text::numeric, 4)::double precision, round(f.semantic::numeric, 4)::double precision
    from (select * from found order by score desc, memory_id desc) f
    cross join lateral (
        select m, v from memory.memory m
        join memory.version v on v.memory_id = m.id and v.number = f.number
        join memory.space s on s.id = m.space_id
        where m.id = f.memory_id and memory.holds(m, v, as_of)
        and case when as_of is null then v.replaced_at is null else v.number = (
            select p.number from memory.version_at(m.id, as_of) p) end
        and (search.kind is null or v.kind = search.kind)
        and (min_trust is null or memory.rank_of(memory.trust_for(
            (select p.party from place p), s.scope, v.author, v.trust)) >= memory.rank_of(min_trust))
        offset 0) x
    order by f.score desc, f.memory_id desc limit most
$$;
grant execute on function memory.search to gather_memory;
