-- Makes an alias or replaces it. Answers `{id}`; or, having changed nothing, what `llm.misled` says, or `{unknown}` with the
-- first target that the owner has no provider or alias for.
--   new   {team_id, platform, targets: [{provider, alias, model, order, max_output_tokens, silence_ms, total_ms}], retries, retry_uncertain,
--          unsupported, capture}
create or replace function llm.put_alias(account uuid, admin boolean, name text, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    team uuid := (new ->> 'team_id')::uuid;
    is_platforms boolean := coalesce((new ->> 'platform')::boolean, false);
    belongs text := case when is_platforms then 'platform' when team is not null then 'team:' || team else 'account:' || account end;
    misled jsonb;
    unknown text;
    made uuid;
begin
    perform identity.require_active(account);
    if not llm.manages(account, belongs, admin) then
        perform identity.refuse('alias_manage');
    end if;
    -- Two aliases that come at once could name each other.
    perform pg_advisory_xact_lock(hashtextextended('llm:alias:' || belongs, 0));
    if (select count(*) from llm.alias a where a.owner = belongs and a.name <> put_alias.name) >= 200 then
        perform identity.refuse('alias_count');
    end if;
    misled := llm.misled(belongs, put_alias.name,
        array(select t ->> 'alias' from jsonb_array_elements(new -> 'targets') t));
    if misled is not null then
        return misled;
    end if;
    select coalesce(t.t ->> 'alias', t.t ->> 'provider') into unknown
    from jsonb_array_elements(new -> 'targets') t (t)
    where case when t.t ? 'alias' then not llm.has_alias(account, belongs, t.t ->> 'alias')
        else llm.provider_called(account, belongs, t.t ->> 'provider') is null end limit 1;
    if unknown is not null then
        return jsonb_build_object('unknown', unknown);
    end if;
    insert into llm.alias as a (account_id, team_id, name, retries, retry_uncertain, unsupported, capture)
    values (case when team is null and not is_platforms then account end, case when not is_platforms then team end,
        put_alias.name, (new ->> 'retries')::smallint, (new ->> 'retry_uncertain')::boolean, new ->> 'unsupported', new ->> 'capture')
    on conflict on constraint alias_name_key do update set retries = excluded.retries,
        retry_uncertain = excluded.retry_uncertain, unsupported = excluded.unsupported, capture = excluded.capture,
        environment = false, updated_at = now()
    returning a.id into made;
    delete from llm.target t where t.alias_id = made;
    insert into llm.target (alias_id, place, rank, provider_id, alias, model, max_output_tokens, silence_ms,
        total_ms)
    select made, t.place, coalesce((t.t ->> 'order')::integer, 0),
        case when not t.t ? 'alias' then llm.provider_called(account, belongs, t.t ->> 'provider') end,
        t.t ->> 'alias', t.t ->> 'model', (t.t ->> 'max_output_tokens')::integer,
        (t.t ->> 'silence_ms')::integer, (t.t ->> 'total_ms')::integer
    from jsonb_array_elements(new -> 'targets') with ordinality t (t, place);
    return jsonb_build_object('id', made);
end
$$;
grant execute on function llm.put_alias to gather_llm;
