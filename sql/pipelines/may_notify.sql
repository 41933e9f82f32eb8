-- Whether the runs of an account may write to an inbox: to its own, and to those of accounts that share a team with it.
create or replace function pipelines.may_notify(account uuid, who uuid) returns boolean
language plpgsql stable
as $$
begin
    return account = who or exists (
        select from identity.team_member a join identity.team_member b on b.team_id = a.team_id
        where a.account_id = account and b.account_id = who);
end
$$;
