-- The accounts that may decide about an approval at this moment, including the one that asked.
create or replace function inbox.deciders(approval uuid) returns setof uuid
language sql stable
as $$
    select k.who from inbox.asked k where k.approval_id = deciders.approval and not k.is_team
    union
    select m.account_id from inbox.asked k join identity.team_member m on m.team_id = k.who
    where k.approval_id = deciders.approval and k.is_team
$$;
