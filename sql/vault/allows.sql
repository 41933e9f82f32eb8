-- Whether a secret may be put into a request: its origin, method and path are byte for byte what `use` names. A path
-- begins with one that is named where a segment ends. One that is handed to containers is put into no request.
create or replace function vault.allows(secret vault.secret, origin text, method text, path text) returns boolean
language sql stable
as $$
    select coalesce(allows.origin = any(secret.origins) and not secret.place ? 'handed', false)
        and (secret.methods is null or allows.method = any(secret.methods))
        and (secret.paths is null or (vault.is_plain_path(allows.path) and exists (
            select from unnest(secret.paths) p
            where allows.path = p or starts_with(allows.path, case when right(p, 1) = '/' then p else p || '/' end))))
$$;
