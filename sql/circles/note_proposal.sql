-- Notes an accepted proposal in the memory of its circle for who decides it, and returns the memory's id. Null: it can't be
-- noted, which changes nothing about the decision.
--   found_by  {words, terms}, by which it is found; null: it must not be noted
create or replace function circles.note_proposal(account uuid, p circles.proposal, found_by jsonb) returns uuid
language plpgsql
as $$
declare
    noted jsonb;
begin
    if jsonb_typeof(found_by) <> 'object' then
        return null;
    end if;
    select a.memory into noted from memory.add(account, jsonb_build_object('content', p.text, 'words', found_by -> 'words',
        'scope', 'circle', 'scope_id', p.circle_id, 'key', 'proposal:' || p.id, 'tags', jsonb_build_array(p.kind),
        'sources', '[]'::jsonb), platform.texts_of(found_by -> 'terms')) a;
    return (noted ->> 'id')::uuid;
exception when check_violation then
    return null;
end
$$;
