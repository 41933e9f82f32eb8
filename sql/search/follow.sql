-- Follows the change of a text, in its transaction: its vectors are gone, and new ones are wanted if it is shown and has
-- words. Triggers of the tables that have the texts call it. The wish is changed first, since whoever stores vectors holds it.
create or replace function search.follow(kind text, id uuid, place uuid, author uuid, is_shown boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if is_shown then
        insert into search.wanted (kind, id, place, author_id)
        values (follow.kind, follow.id, follow.place, follow.author)
        on conflict on constraint wanted_pkey do update set number = excluded.number, place = excluded.place,
            ready_at = excluded.ready_at, tries = 0;
    else
        delete from search.wanted w where w.kind = follow.kind and w.id = follow.id;
    end if;
    delete from search.vector v where v.kind = follow.kind and v.id = follow.id;
    if is_shown then
        perform search.wake();
    end if;
end
$$;
