-- Forgets the meaning of texts that are not shown any more, in the transaction that hides or deletes them. Triggers of the
-- tables that have the texts call it. The wish goes first, since whoever stores vectors holds it.
create or replace function search.forget(kind text, ids uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from search.wanted w where w.kind = forget.kind and w.id = any (ids);
    delete from search.vector v where v.kind = forget.kind and v.id = any (ids);
end
$$;
