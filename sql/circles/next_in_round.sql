-- The agent that speaks after an account where all speak one after another, when so many have spoken since somebody else
-- wrote, who is the beginner. Null: the rounds are over.
create or replace function circles.next_in_round(c circles.circle, account uuid, hops integer, beginner uuid) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    all_of_them uuid[] := circles.in_round(c, beginner);
    speakers integer := cardinality(all_of_them);
    at integer := coalesce(array_position(all_of_them, account), 0);
begin
    if speakers = 0 or speakers = 1 and at = 1 or hops >= coalesce((c.rules ->> 'rounds')::integer, 1) * speakers then
        return null;
    end if;
    return all_of_them[at % speakers + 1];
end
$$;
