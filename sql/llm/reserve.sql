-- The purse: sets a sum aside for work other than calls of models, such as a picture that is made elsewhere. Answers
-- `{call}`, or `{refused}` if a budget of those who pay has too little left. It is settled or released within `lease`, or
-- counts as spent.
create or replace function llm.reserve(account uuid, payers text[], microusd bigint, purpose text, parent text, lease interval)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz;
    pays text[] := llm.payers_of(account, null, payers, null);
    made uuid := platform.uuid_v7();
begin
    perform llm.settle_lost(pays);
    at := clock_timestamp();
    if llm.left_of(pays) < microusd then
        return '{"refused": "budget-exhausted"}';
    end if;
    insert into llm.call (id, account_id, payers, route, purpose, parent, reserved_microusd, lease, created_at)
    values (made, account, pays, 'purse', reserve.purpose, reserve.parent, microusd, at + reserve.lease, at);
    return jsonb_build_object('call', made);
end
$$;
