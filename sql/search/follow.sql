-- Follows the change of a text that is shown, in its transaction: its vectors are gone, and new ones are wanted. Triggers of
-- the tables that have the texts call it. The wish is changed first, since whoever stores vectors holds it.
create or replace function search.follow(kind text, id uuid, place uuid, author uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into search.wanted (kind, id, place, author_id)
    values (follow.kind, follow.id, follow.place, follow.author)
    on conflict on constraint wanted_pkey do update set number = excluded.number, place = excluded.place,
        ready_at = excluded.ready_at, tries = 0;
    delete from search.vector v where v.kind = follow.kind and v.id = follow.id;
    perform search.wake();
end
$$;
