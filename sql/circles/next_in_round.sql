-- The agent that speaks after an account where all speak one after another, when so many have spoken since somebody else
-- wrote. Null: the rounds are over.
create or replace function circles.next_in_round(c circles.circle, account uuid, hops integer) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    all_seats uuid[] := array(select b.account_id from circles.member b join circles.seat s on s.account_id = b.account_id
        where b.circle_id = c.id and b.role <> 'observer' and s.state not in ('stopped', 'elsewhere') order by b.place, b.account_id);
    seats integer := cardinality(all_seats);
    at integer := coalesce(array_position(all_seats, account), 0);
begin
    if seats = 0 or seats = 1 and at = 1 or hops >= coalesce((c.rules ->> 'rounds')::integer, 1) * seats then
        return null;
    end if;
    return all_seats[at % seats + 1];
end
$$;
