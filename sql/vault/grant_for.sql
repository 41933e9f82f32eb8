-- By whose right an account may have a secret put into a request: the owner's own, or that of a grant, which is counted
-- if it is limited. Null: by none.
--   subjects  what acts for the account, such as `claw:<id>`: it has no more than what it was granted itself
create or replace function vault.grant_for(secret vault.secret, account uuid, subjects text[]) returns text
language plpgsql
as $$
declare
    chosen text;
begin
    if not exists (select from identity.account a where a.id = account and a.status = 'active') then
        return null;
    end if;
    if cardinality(subjects) > 0 then
        subjects := array(select s from unnest(subjects) s
            where s ~ '^(claw|skill|pipeline|project):');
    elsif secret.account_id = account then
        return 'account:' || account;
    elsif secret.account_id is null and secret.team_id is null and identity.allows(account, 'llm:manage') then
        return 'platform';
    else
        subjects := vault.subjects_of(account);
    end if;
    -- Grants without a limit come first. Whoever counts at the same moment waits, and looks again.
    loop
        select g.subject into chosen from vault.secret_grant g
        where g.secret_id = secret.id and g.subject = any(subjects) and (g.until is null or g.until > now())
        and (g.calls is null or g.used < g.calls)
        order by g.calls is not null, g.subject limit 1;
        if not found then
            return null;
        end if;
        update vault.secret_grant g set used = case when g.calls is null then 0 else g.used + 1 end
        where g.secret_id = secret.id and g.subject = chosen and g.calls is not null and g.used < g.calls
        and (g.until is null or g.until > now());
        if found or exists (select from vault.secret_grant g
            where g.secret_id = secret.id and g.subject = chosen and g.calls is null) then
            return chosen;
        end if;
    end loop;
end
$$;
