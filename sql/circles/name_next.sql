-- The moderator or the speaker names who speaks next; the answer is for the model. A moderator who names nobody that may
-- speak gets the one who has been silent longest, of those whom the platform thinks for if there are any: nobody need be
-- waited for by mistake.
create or replace function circles.name_next(turn uuid, holder text, named text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn := circles.held_turn(turn, holder);
    c circles.circle;
    chosen uuid;
    able uuid[];
begin
    select x.* into c from circles.circle x where x.id = t.circle_id;
    able := circles.able_next(t, c);
    select a.id into chosen from identity.account a where a.id = any (able) and named in (a.name, a.id::text, '@' || a.name);
    if chosen is null and c.mode = 'moderated' then
        chosen := coalesce((select u.a from unnest(able) with ordinality u (a, n)
            join circles.seat s on s.account_id = u.a order by u.n limit 1), able[1]);
    end if;
    if chosen is null then
        return 'There is no such member who may speak next.';
    end if;
    update circles.turn x set next_id = chosen where x.id = t.id;
    return (select a.name || ' speaks next.' from identity.account a where a.id = chosen);
end
$$;
grant execute on function circles.name_next(uuid, text, text) to gather_agent_turn;
