-- The memories that a query finds, the best first. A half that is missing adds nothing to a score and takes nothing from it.
--   words      the words of the query, `[{term, weight}]`
--   min_trust  the least trust that a memory has for the reader
create or replace function memory.search(
    reader uuid, scopes jsonb, words jsonb, kind text, min_trust text, as_of timestamptz, most integer
) returns table (memory jsonb, score double precision, text double precision, semantic double precision)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with place as materialized (
        select array(select memory.spaces_of(reader, scopes)) as spaces, memory.party(reader) as party
    ), found as materialized (
        select w.memory_id, w.number, w.score as text, null::double precision as semantic
        from place p cross join lateral memory.by_words(p.spaces, words, as_of) w
    ), best as (
        select m, v, coalesce(f.text, 0) + coalesce(f.semantic, 0) as score, f.text, f.semantic
        from found f cross join place p
        join memory.memory m on m.id = f.memory_id
        join memory.version v on v.memory_id = f.memory_id and v.number = f.number
        join memory.space s on s.id = m.space_id
        where memory.holds(m, v, as_of)
        and (search.kind is null or v.kind = search.kind)
        and (min_trust is null
            or memory.rank_of(memory.trust_for(p.party, s.scope, v.author, v.trust)) >= memory.rank_of(min_trust))
        order by score desc, m.id desc limit most
    )
    select memory.memory_json(reader, b.m, b.v), round(b.score::numeric, 4)::double precision,
        round(b.text::numeric, 4)::double precision, round(b.semantic::numeric, 4)::double precision
    from best b order by b.score desc, (b.m).id desc
$$;
grant execute on function memory.search to gather_memory;
