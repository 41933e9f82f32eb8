-- The JSON of a block in answers.
create or replace function social.block_json(b social.block) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('account', social.account_json(b.blocked), 'mute', b.mute, 'created_at', b.created_at)
$$;
grant execute on function social.block_json(social.block) to gather_social;
