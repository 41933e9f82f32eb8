-- The personas that an account may use, by name: its own, public ones, and those of its teams.
--   wanted      a text in lower case that their names or descriptions have; '' is in each
--   after_name  null, or the name and the id of the persona after which they begin
create or replace function circles.list_personas(account uuid, wanted text, after_name text, after uuid, most bigint)
returns setof jsonb
language plpgsql stable security definer set search_path = pg_catalog, trigram, pg_temp
-- The best index depends on the text.
set plan_cache_mode = force_custom_plan
as $$
declare
    pattern text := '%' || regexp_replace(wanted, '([\\%_])', '\\\1', 'g') || '%';
begin
    return query
    select circles.persona_json(l.id) from (
        (select p.id, p.name from circles.persona p
         where p.owner_id = account and p.deleted_at is null
         and (after_name is null or (p.name, p.id) > (after_name, after)) and (p.name like pattern or p.words like pattern)
         order by p.name, p.id limit most)
        union
        (select p.id, p.name from circles.persona p
         where p.visibility = 'public' and p.deleted_at is null
         and (after_name is null or (p.name, p.id) > (after_name, after)) and (p.name like pattern or p.words like pattern)
         order by p.name, p.id limit most)
        union
        (select p.id, p.name from circles.persona p
         where p.owner_id in (
             select o.account_id from identity.team_member m join identity.team_member o on o.team_id = m.team_id
             where m.account_id = account)
         and p.visibility = 'team' and p.deleted_at is null
         and (after_name is null or (p.name, p.id) > (after_name, after)) and (p.name like pattern or p.words like pattern)
         order by p.name, p.id limit most)
    ) l order by l.name, l.id limit most;
end
$$;
grant execute on function circles.list_personas to gather_circles;
