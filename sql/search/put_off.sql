-- Puts texts off for which the model was refused, by their numbers: twice as long with each attempt, up to a day.
create or replace function search.put_off(numbers jsonb) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update search.wanted w set tries = least(w.tries + 1, 30),
        ready_at = now() + least(interval '1 day', interval '1 minute' * 2 ^ least(w.tries, 11))
    where w.number in (select n::bigint from jsonb_array_elements_text(numbers) n)
$$;
grant execute on function search.put_off to gather_search_embed;
