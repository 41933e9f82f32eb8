-- What a finder finds by the words of a query.
create or replace function search.by_words(finder text, reader uuid, query text, kinds text[], most integer)
returns search.hit[]
language plpgsql
as $$
declare
    found_hits search.hit[];
begin
    execute format(
        'select array_agg(row(h.kind, h.id, left(h.title, 200), left(h.snippet, 500), left(h.url, 500), h.created_at,
             round(h.rank::numeric, 4), null)::search.hit)
         from (select * from %s($1, $2, $3, $4) f where f.kind = any ($3) limit $4) h', finder)
    into found_hits using reader, query, kinds, most;
    return found_hits;
end
$$;
