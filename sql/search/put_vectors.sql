-- Stores the vectors of a text's passages, `[[number, …], …]`. Returns false, and stores nothing, if the text has changed
-- since it had that number, is not shown any more, or has its vectors already.
create or replace function search.put_vectors(kind text, id uuid, number bigint, model text, passages jsonb)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    done search.wanted;
begin
    delete from search.wanted w
    where w.kind = put_vectors.kind and w.id = put_vectors.id and w.number = put_vectors.number returning w.* into done;
    if not found then
        return false;
    end if;
    insert into search.vector (kind, id, model, passage, place, embedding)
    select done.kind, done.id, put_vectors.model, p.n, done.place, p.passage::text::vector.halfvec
    from jsonb_array_elements(passages) with ordinality p (passage, n);
    return true;
end
$$;
grant execute on function search.put_vectors to gather_search_embed;
