-- The texts that lack vectors and may be tried, the newest first.
create or replace function search.pending(most integer)
returns table (kind text, id uuid, number bigint, author uuid, content text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    part record;
begin
    for part in
        select w.kind, s.texts, array_agg(w.id) as ids
        from (
            select o.kind, o.id from search.wanted o where o.ready_at <= now()
            order by o.ready_at desc, o.number desc limit most) w
        join search.source s on s.kind = w.kind
        group by w.kind, s.texts
    loop
        return query execute format(
            'select w.kind, w.id, w.number, w.author_id, t.content from %s($1) t
             join search.wanted w on w.kind = $2 and w.id = t.id', part.texts)
            using part.ids, part.kind;
    end loop;
end
$$;
grant execute on function search.pending to gather_search_embed;
