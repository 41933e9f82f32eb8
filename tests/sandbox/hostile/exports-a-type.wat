;; Exports types only.
;; must: not-a-component
(component
  (type $t (record (field "a" u32)))
  (export "t" (type $t)))
